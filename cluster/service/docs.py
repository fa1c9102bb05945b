"""The page that describes the API, from its OpenAPI, with nothing loaded from elsewhere."""

import html
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """What the API takes and gives."""
    described = request.app.openapi()
    home = html.escape(request.scope.get("root_path", ""))
    routes = "".join(
        _route(path, method, own, described)
        for path, methods in described["paths"].items()
        for method, own in methods.items()
    )
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>vcm-sweep API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="stylesheet" href="{home}/static/service.css"></head><body><main><h1>API</h1>'
        f'<p>For programs, as <a href="{home}/openapi.json">OpenAPI</a>. Send <code>Authorization: Bearer TOKEN</code>.'
        f" Errors are problems (RFC 9457); their <code>detail</code> says what to do.</p>{routes}</main></body></html>"
    )


def _route(path: str, method: str, own: dict[str, Any], described: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(where)}</td><td>{html.escape(said)}</td></tr>"
        for name, where, said in _fields(own, described)
    )
    table = f"<table><thead><tr><th>name</th><th>in</th><th>what</th></tr></thead><tbody>{rows}</tbody></table>"
    return (
        f"<section><h2><code>{method.upper()} {html.escape(path)}</code></h2>"
        f"<p>{html.escape(own.get('description', ''))}</p>{table if rows else ''}</section>"
    )


def _fields(own: dict[str, Any], described: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(name, where it stands, what it is) of all that a route takes."""
    for one in own.get("parameters", []):
        yield one["name"], one["in"], one.get("description", "")
    content: dict[str, Any] = own.get("requestBody", {}).get("content", {})
    schema: dict[str, Any] = {}
    for kind in content.values():  # one: JSON, or a form with a file
        schema = kind.get("schema", {})
    reference = schema.get("$ref") or next((part["$ref"] for part in schema.get("anyOf", []) if "$ref" in part), "")
    body = described["components"]["schemas"].get(reference.rpartition("/")[2], {})
    for name, field in body.get("properties", {}).items():
        yield name, "body", field.get("description", "")

from .cli import main as main
from .client import Client as Client
from .client import RemoteStudy as RemoteStudy
from .ray_executor.executor import RayExecutor as RayExecutor
from .terminal.live_view import LiveView as LiveView

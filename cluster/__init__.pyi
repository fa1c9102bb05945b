from .cli import main as main
from .ray_executor.executor import RayExecutor as RayExecutor
from .terminal.live_view import LiveView as LiveView

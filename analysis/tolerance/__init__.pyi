from .answer import FrontPoint as FrontPoint
from .answer import Tolerance as Tolerance
from .answer import ToleranceAnswer as ToleranceAnswer
from .answer import read_tolerances as read_tolerances
from .crossing import Crossing as Crossing
from .crossing import find_crossing as find_crossing
from .search import find_tolerances as find_tolerances

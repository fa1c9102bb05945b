from .sets import CACHE as CACHE
from .sets import DATA_VARIABLE as DATA_VARIABLE
from .sets import DataSet as DataSet
from .sets import load as load

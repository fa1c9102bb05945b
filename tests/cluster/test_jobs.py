"""A study on a cluster, from another machine: submit, jobs, status, logs, stop, fetch."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests_cluster_ray_head import Head, environment_of

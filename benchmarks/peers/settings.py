"""The Django project in which the Django peers run; BENCHMARK_PEER names the one, whose file adds its own settings."""

from __future__ import annotations

import os
from importlib import import_module

_module = import_module(f"benchmarks.peers.{os.environ['BENCHMARK_PEER']}")

SECRET_KEY = "only for benchmarks"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ["PGPORT"],
        "CONN_MAX_AGE": None,  # a worker that connected for each task would be measured for connecting
    }
}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
globals().update(_module.PEER.settings)
if hasattr(_module, "more_settings"):  # those made of the peer's own classes
    globals().update(_module.more_settings())

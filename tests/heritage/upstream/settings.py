"""Settings under which django-background-tasks' own tests run: the alias installed, our app in place of theirs."""

from bgtasks.compat import install

install()

from tests.settings import DATABASES  # noqa: E402, F401 - the alias comes first, as in a project

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"nowhere": {"class": "logging.NullHandler"}},
    "loggers": {"bgtasks": {"handlers": ["nowhere"], "propagate": False}},
}
SECRET_KEY = "only for tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "bgtasks"]

"""Settings under which Django's own tests of `django.tasks` run with our backend in place of the built-in ones."""

from tests.settings import DATABASES  # noqa: F401 - the database under test

SECRET_KEY = "only for tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "bgtasks",
    "tests.conformance.swapped.Swapped",
]
BGTASKS = {"MAX_ATTEMPTS": 1}
LOGGING_CONFIG = None

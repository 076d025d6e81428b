"""Settings of the shop. SHOP_DATABASE=postgres or mariadb moves it, tasks included, to another database."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("SHOP_VAR", BASE_DIR / "var"))
"""Everything that the shop writes: the database, mails, pictures, reports."""
VAR.mkdir(parents=True, exist_ok=True)

SECRET_KEY = "an example has no secrets"
DEBUG = os.environ.get("SHOP_DEBUG", "1") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]

SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": VAR / "db.sqlite3",
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",  # a transaction that will write says so at once, instead of failing later
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",  # readers and the writer do not wait
    },
}
POSTGRES = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": os.environ.get("SHOP_DATABASE_NAME", "shop"),
    "USER": os.environ.get("PGUSER", "postgres"),
    "PASSWORD": os.environ.get("PGPASSWORD", ""),
    "HOST": os.environ.get("PGHOST", "127.0.0.1"),
    "PORT": os.environ.get("PGPORT", "5432"),
}
MARIADB = {
    "ENGINE": "django.db.backends.mysql",
    "NAME": os.environ.get("SHOP_DATABASE_NAME", "shop"),
    "USER": os.environ.get("MYSQL_USER", "root"),
    "PASSWORD": os.environ.get("MYSQL_PWD", ""),
    "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
    "PORT": os.environ.get("MYSQL_PORT", "3306"),
    "OPTIONS": {"charset": "utf8mb4"},
}
DATABASES = {
    "default": {"sqlite": SQLITE, "postgres": POSTGRES, "mariadb": MARIADB}[os.environ.get("SHOP_DATABASE", "sqlite")]
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "bgtasks",
    "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "mysite.urls"
STATIC_URL = "static/"
MEDIA_ROOT = VAR / "media"
MEDIA_URL = "media/"
USE_TZ = True
TIME_ZONE = "Europe/Berlin"

EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = VAR / "mails"
DEFAULT_FROM_EMAIL = "shop@example.com"
REPORTS = VAR / "reports"
WAREHOUSE_URL = os.environ.get("SHOP_WAREHOUSE_URL", "http://127.0.0.1:8099/orders")

BGTASKS = {
    "MAX_RUN_TIME": "10m",  # longer than any task of this shop may take
    "MAX_MEMORY": "150M",  # import_catalogue leaks: its worker is replaced before that hurts
    "SLEEP": "1s",
}

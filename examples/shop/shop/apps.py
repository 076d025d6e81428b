"""The app's configuration."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Django finds `shop/tasks.py` by itself."""

    name = "shop"
    default_auto_field = "django.db.models.BigAutoField"

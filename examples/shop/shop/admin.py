"""Products and orders in the admin; the tasks stand there by themselves."""

from django.contrib import admin

from shop.models import Order, Product
from shop.tasks import make_thumbnail


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    """A saved photo gets its thumbnail in the background."""

    list_display = ("name", "price", "thumbnail")
    search_fields = ("name",)

    def save_model(self, request, obj, form, change):
        """Save, and enqueue in the same transaction."""
        super().save_model(request, obj, form, change)
        if "photo" in form.changed_data and obj.photo:
            make_thumbnail.enqueue(obj.pk)


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    """When was what done for an order."""

    list_display = ("pk", "product", "email", "placed_at", "receipt_sent_at", "warehouse_told_at", "label_printed_at")
    list_select_related = ("product",)

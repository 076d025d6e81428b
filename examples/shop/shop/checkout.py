"""Placing an order: the row and its tasks are stored together, or not at all."""

from django.db import transaction

from shop.models import Order, Product
from shop.tasks import notify_warehouse, print_label, send_receipt


class SoldOut(Exception):
    """The product cannot be had; nothing of the order remains."""


@transaction.atomic
def place_order(product: Product, email: str, *, in_stock: bool = True) -> Order:
    """Store an order and what has to happen because of it. Raises SoldOut, which undoes all of it."""
    order = Order.objects.create(product=product, email=email)
    send_receipt.enqueue(order.pk)
    notify_warehouse.enqueue(order.pk)
    print_label.using(priority=-1).enqueue(order.pk)
    if not in_stock:
        raise SoldOut(product.name)
    return order

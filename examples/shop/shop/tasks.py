"""What the shop does in the background: mail, pictures, a web hook, a report; and two tasks that misbehave."""

from __future__ import annotations

import ctypes
import json
import urllib.error
import urllib.request
from pathlib import Path

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Count, Sum
from django.utils import timezone
from PIL import Image

from bgtasks import background
from shop.models import Order, Product


@background
def send_receipt(order_id: int) -> None:
    """Mail the customer. A task may run again after a crash, so it looks first whether its work is done."""
    order = Order.objects.select_related("product").get(pk=order_id)
    if order.receipt_sent_at:
        return
    text = f"Thank you for buying {order.product}. It costs {order.product.price}."
    send_mail(f"Your order {order.pk}", text, settings.DEFAULT_FROM_EMAIL, [order.email])
    order.receipt_sent_at = timezone.now()
    order.save(update_fields=["receipt_sent_at"])


@background
def make_thumbnail(product_id: int) -> None:
    """Shrink the product's photo. The file appears under its name only when it is whole."""
    product = Product.objects.get(pk=product_id)
    folder = Path(settings.MEDIA_ROOT) / "thumbnails"
    folder.mkdir(parents=True, exist_ok=True)
    unfinished, finished = folder / f".{product.pk}.png", folder / f"{product.pk}.png"
    with Image.open(product.photo.path) as photo:
        photo.thumbnail((128, 128))
        photo.save(unfinished)
    unfinished.rename(finished)
    product.thumbnail.name = f"thumbnails/{finished.name}"
    product.save(update_fields=["thumbnail"])


class WarehouseUnavailable(Exception):
    """The warehouse's web hook did not take the message."""


@background(backoff=[1, 2, 5, 30, 60], max_attempts=10, max_run_time=30)
def notify_warehouse(order_id: int) -> None:
    """Tell the warehouse's web hook, which is often out of order: an error is raised, and the task tried again."""
    body = json.dumps({"order": order_id}).encode()
    request = urllib.request.Request(settings.WAREHOUSE_URL, body, {"Content-Type": "application/json"})
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.URLError as error:
        raise WarehouseUnavailable(str(error)) from None  # the rest of the traceback would say nothing more
    Order.objects.filter(pk=order_id).update(warehouse_told_at=timezone.now())


@background(repeat=24 * 60 * 60)
def nightly_report() -> None:
    """Write what was sold so far. Each run enqueues the next one, a day after its own due time."""
    sold = Order.objects.aggregate(orders=Count("pk"), revenue=Sum("product__price"))
    settings.REPORTS.mkdir(parents=True, exist_ok=True)
    path = settings.REPORTS / f"{timezone.now():%Y-%m-%d-%H%M%S}.json"
    path.write_text(json.dumps({"orders": sold["orders"], "revenue": str(sold["revenue"] or 0)}))


_seen: list[bytes] = []


@background
def import_catalogue(megabytes: int) -> None:
    """Leak: each run leaves its data in a list of the module. The worker is replaced at its memory limit."""
    _seen.append(b"x" * (megabytes * 1024 * 1024))


@background
def print_label(order_id: int) -> None:
    """Crash: the label printer's library takes the whole process with it when it is used for the first time."""
    try:
        (Path(settings.VAR) / "label-printer-is-warm").touch(exist_ok=False)
    except FileExistsError:
        pass  # used before, perhaps by another worker at this very moment
    else:
        ctypes.string_at(0)  # reads address 0: a segmentation fault, as in a broken C library
    Order.objects.filter(pk=order_id).update(label_printed_at=timezone.now())

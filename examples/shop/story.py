"""What the demo does with the shop, step by step, and what it promises at each."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from PIL import Image

from bgtasks.models import CompletedTask, Task, TaskAttempt
from shop import tasks
from shop.checkout import SoldOut, place_order
from shop.models import Order, Product

if TYPE_CHECKING:
    from demo import Demo
    from warehouse import Warehouse

WORKERS, ORDERS, IMPORTS, LEAK_MEGABYTES = 4, 8, 24, 30


def create_database() -> None:
    """Make this demo's own database on a server; on SQLite it is a file in the demo's folder."""
    if connection.vendor != "sqlite":
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {connection.settings_dict['NAME']}")


def drop_database() -> None:
    """Remove it again."""
    connection.close()
    if connection.vendor != "sqlite":
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {connection.settings_dict['NAME']}")


def tell(demo: Demo, warehouse: Warehouse) -> None:
    """Run the whole demo."""
    demo.say("python manage.py migrate")
    call_command("migrate", verbosity=0)
    demo.start()
    orders = sell(demo)
    report(demo)
    leak(demo)
    retry(demo, warehouse, orders)
    crash(demo)
    recycle(demo)
    demo.promise(f"and {WORKERS} workers are up again", demo.workers_are_up, within=15)
    demo.show_status()
    demo.promise("bgtasksd status says that all is well", lambda: demo.status().get("state") == "running", within=15)
    demo.stop()
    demo.promise("after the stop no task is left half done", lambda: not Task.objects.exclude(locked_by=None).exists())


def sell(demo: Demo) -> list[Order]:
    """Stock the shop and place orders, one of them in vain."""
    products = [product(name, colour) for name, colour in (("Teapot", "red"), ("Lamp", "gold"), ("Chair", "navy"))]
    orders = [place_order(products[n % 3], f"customer{n}@example.com") for n in range(ORDERS)]
    with contextlib.suppress(SoldOut):
        place_order(products[0], "unlucky@example.com", in_stock=False)
    mails = Path(settings.EMAIL_FILE_PATH)
    receipts = [f"Subject: Your order {order.pk}\n" for order in orders]
    demo.promise(
        f"{ORDERS} orders, {ORDERS} receipts mailed, each exactly once",
        lambda: all(written(mails).count(receipt) == 1 for receipt in receipts),
    )
    demo.promise(
        "an order that was rolled back left no task and no mail", lambda: "unlucky" not in written(mails), within=0
    )
    thumbnails = Path(settings.MEDIA_ROOT) / "thumbnails"
    demo.promise("3 photos, 3 thumbnails made with Pillow", lambda: len(list(thumbnails.glob("[0-9]*.png"))) == 3)
    return orders


def product(name: str, colour: str) -> Product:
    """Put something into the shop, with a photo to be shrunk."""
    photos = Path(settings.MEDIA_ROOT) / "photos"
    photos.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2000, 1500), colour).save(photos / f"{name}.png")
    made = Product.objects.create(name=name, price=Decimal("19.90"), photo=f"photos/{name}.png")
    tasks.make_thumbnail.enqueue(made.pk)
    return made


def count(folder: Path) -> int:
    """Return how many files there are."""
    return sum(1 for path in folder.glob("*") if path.is_file())


def written(folder: Path) -> str:
    """Return everything that stands in a folder's files."""
    return "".join(path.read_text() for path in folder.glob("*"))


def report(demo: Demo) -> None:
    """The nightly report, with nights of two seconds."""
    tasks.nightly_report.using(repeat=2).enqueue()
    demo.promise("the nightly report repeats by itself", lambda: count(settings.REPORTS) >= 3)


def leak(demo: Demo) -> None:
    """Fill the workers' memory; the outcome is looked at later, for no worker is recycled in its first 10 s."""
    for _ in range(IMPORTS):
        tasks.import_catalogue.enqueue(LEAK_MEGABYTES)


def retry(demo: Demo, warehouse: Warehouse, orders: list[Order]) -> None:
    """The web hook refused each order twice."""
    told = Order.objects.exclude(warehouse_told_at=None)
    demo.promise(
        "the web hook that failed twice an order was retried until it answered", lambda: len(told.all()) == ORDERS
    )
    demo.promise(
        "it was asked exactly three times for each order",
        lambda: all(warehouse.requests[order.pk] == 3 for order in orders),
        within=0,
    )
    refused = TaskAttempt.objects.filter(exception="shop.tasks.WarehouseUnavailable")
    demo.promise("each refusal is recorded with its traceback", lambda: refused.count() == 2 * ORDERS, within=5)


def crash(demo: Demo) -> None:
    """One task took its process with it."""
    printed = Order.objects.exclude(label_printed_at=None)
    demo.promise("the task that crashed its process ran again, in another one", lambda: len(printed.all()) == ORDERS)
    crashes = TaskAttempt.objects.filter(crashed=True, error__contains="SIGSEGV")
    demo.promise("the crash is recorded with its reason", lambda: crashes.count() == 1, within=5)
    for each in crashes:
        print(f"\nrecorded for task {each.task_id}, attempt {each.attempt}: {each.error}", flush=True)


def recycle(demo: Demo) -> None:
    """The leaking task made its workers too big."""
    demo.promise(
        "workers that had grown past 150 MB were replaced, between tasks",
        lambda: demo.status().get("totals", {}).get("recycled", {}).get("memory", 0) >= 1,
    )
    done = CompletedTask.objects.filter(task_name="shop.tasks.import_catalogue", failed_at=None)
    demo.promise(f"and none of their {IMPORTS} tasks was lost", lambda: done.count() == IMPORTS)

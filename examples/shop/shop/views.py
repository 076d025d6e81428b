"""Two pages: what there is, and buying it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from shop.checkout import place_order
from shop.models import Order, Product


def products(request: HttpRequest) -> HttpResponse:
    """List the products and the latest orders."""
    latest = Order.objects.select_related("product").order_by("-pk")[:10]
    return render(request, "shop/products.html", {"products": Product.objects.all(), "orders": latest})


@require_POST
def buy(request: HttpRequest, product_id: int) -> HttpResponse:
    """Order one; the answer does not wait for mail and warehouse."""
    place_order(get_object_or_404(Product, pk=product_id), request.POST["email"])
    return redirect("/")

"""What the shop sells, and to whom."""

from django.db import models


class Product(models.Model):
    """Something for sale; its photo's thumbnail is made in the background."""

    name = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    photo = models.FileField(upload_to="photos", blank=True)
    thumbnail = models.FileField(upload_to="thumbnails", blank=True)

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    """One customer's purchase. The times say what has been done about it."""

    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    email = models.EmailField()
    placed_at = models.DateTimeField(auto_now_add=True)
    receipt_sent_at = models.DateTimeField(null=True, blank=True)
    warehouse_told_at = models.DateTimeField(null=True, blank=True)
    label_printed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"order {self.pk}"

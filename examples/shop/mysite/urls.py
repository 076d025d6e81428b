"""The shop's own pages, and the admin with the tasks in it."""

from django.contrib import admin
from django.urls import path

from shop import views

urlpatterns = [path("", views.products), path("buy/<int:product_id>/", views.buy), path("admin/", admin.site.urls)]

"""The app: products, orders, and what happens in the background."""

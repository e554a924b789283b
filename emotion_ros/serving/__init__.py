"""HTTP service and live page."""

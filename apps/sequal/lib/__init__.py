"""SEQUAL for MONAI Label: adapters to the server, and below them a library that never imports it."""

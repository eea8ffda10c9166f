"""What is segmented: the models, how they are measured, and simulated images of them."""

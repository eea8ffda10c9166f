"""What is known of a layer that crosses the image from side to side, one in each column."""

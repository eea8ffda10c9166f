"""A study: its images and labels, and the state folder that keeps what the app knows of it."""

"""The cases under audit: tables, images, masks, slices, and how an image becomes the model's input."""

"""From an image on its own grid to what a network takes: normalisation and the working grid."""

"""From a frame to the arrays of the network: rasters, images, lift table, coverage."""

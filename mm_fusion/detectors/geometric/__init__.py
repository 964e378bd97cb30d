"""The detector that needs no training: clusters, boxes from shape and size, radar in position and Doppler."""

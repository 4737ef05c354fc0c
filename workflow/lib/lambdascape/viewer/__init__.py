"""The viewer of the spaces: the same tiles on every map, their neighbours, thumbnails and sound."""

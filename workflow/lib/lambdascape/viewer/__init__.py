"""The spaces to look at and to listen to: the same tiles on every map, their neighbours, pictures and sound."""

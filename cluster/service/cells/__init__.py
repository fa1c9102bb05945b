"""The cells of a service: those of the library, and those that were fitted to what people have measured."""

"""Values of many types: how each is taken apart into plainer ones, and made again. Data only, no wire format."""

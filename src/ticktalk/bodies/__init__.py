"""The source of bodies: what is known of it, and the two ways in which it is written anew."""

"""What is known of the values of numpy, pandas, Arrow, polars and engines; each module is loaded with its library."""

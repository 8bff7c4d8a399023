"""Lines of a deal and the orders that go from them to 1C."""

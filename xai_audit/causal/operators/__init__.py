"""Built-in operators: each sets one thing in a picture and leaves the rest; numbers only, no net."""

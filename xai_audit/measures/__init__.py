"""Measures: numbers about predictions and maps, each with its interval and the count it rests on."""

"""Explanation methods: readers of one shared pass, and askers of masked images. This module loads no torch."""

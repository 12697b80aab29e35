"""Training: config in, run folder out. Imports torch and Lightning; nothing on the device side imports this."""

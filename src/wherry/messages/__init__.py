"""What goes over the wire: the requests and answers of the Docker Engine API, as structs with Docker's field names.

The same structs are decoded from a request, stored, and echoed by inspect, so that no field is copied by hand.
A module for each noun; nothing here knows the engine.
"""

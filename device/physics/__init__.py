"""One cell in one state: constants, parameters, currents, temperature, speed, validity; torch alone."""

"""The tests; the folder right below says the tier: rules, services, components, journeys, faults, browser."""

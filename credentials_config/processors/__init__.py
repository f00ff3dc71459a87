"""
Who has earned a credential: the processors that ship with the plugin.

Each is offered by an entry point of the group ``credentials_config.processors``; ``contracts.Processor`` says what one
has to do. ``base.SteppedProcessor`` gives all of them pathways: a learner has to pass every step.
"""

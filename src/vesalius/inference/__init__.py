"""How a question is answered: `model.load` gives a `model.Model`, whose `ask` gives an `answer.Answer`."""

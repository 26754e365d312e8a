package eliza

import "strings"

// noKeyword is the keyword whose rules apply when there is no other.
const noKeyword = "*none*"

// expand spells out a word of the user so that the patterns need fewer forms.
func expand(word string) []string {
	switch word {
	case "i'm", "im":
		return []string{"i", "am"}
	case "i've":
		return []string{"i", "have"}
	case "i'd":
		return []string{"i", "would"}
	case "i'll":
		return []string{"i", "will"}
	case "you're":
		return []string{"you", "are"}
	case "you've":
		return []string{"you", "have"}
	case "dont", "don't":
		return []string{"do", "not"}
	case "cant", "can't", "cannot":
		return []string{"can", "not"}
	case "wont", "won't":
		return []string{"will", "not"}
	case "isn't":
		return []string{"is", "not"}
	case "it's":
		return []string{"it", "is"}
	case "that's":
		return []string{"that", "is"}
	case "what's":
		return []string{"what", "is"}
	case "everybody", "everyone":
		return []string{"everyone"}
	case "nobody", "noone":
		return []string{"nobody"}
	case "maybe":
		return []string{"perhaps"}
	case "hi", "hey", "greetings":
		return []string{"hello"}
	case "goodbye", "bye", "cya":
		return []string{"goodbye"}
	case "machine", "machines", "computers", "program", "robot", "ai", "software":
		return []string{"computer"}
	case "mum", "mom", "mummy", "mommy":
		return []string{"mother"}
	case "dad", "daddy":
		return []string{"father"}
	case "dreamed", "dreamt":
		return []string{"dreamed"}
	case "recall":
		return []string{"remember"}
	case "yeah", "yep", "certainly", "sure":
		return []string{"yes"}
	case "nope", "nah":
		return []string{"no"}
	case "thank":
		return []string{"thanks"}
	}
	if base, ok := strings.CutSuffix(word, "n't"); ok {
		return []string{base, "not"}
	}
	return []string{word}
}

// otherSide returns a word as the other speaker would say it.
func otherSide(word string) (string, bool) {
	switch word {
	case "i", "me":
		return "you", true
	case "my":
		return "your", true
	case "mine":
		return "yours", true
	case "myself":
		return "yourself", true
	case "am":
		return "are", true
	case "you":
		return "I", true
	case "your":
		return "my", true
	case "yours":
		return "mine", true
	case "yourself":
		return "myself", true
	}
	return "", false
}

// classes returns the words that @name stands for.
func classes(name string) []string {
	switch name {
	case "sad":
		return []string{"sad", "unhappy", "depressed", "sick", "lonely", "miserable", "upset", "tired", "hurt", "lost",
			"afraid", "anxious", "scared", "worried"}
	case "happy":
		return []string{"happy", "glad", "better", "elated", "fine", "proud", "relieved", "excited"}
	case "want":
		return []string{"want", "need", "desire", "crave"}
	case "belief":
		return []string{"think", "believe", "feel", "suppose", "guess", "know"}
	case "family":
		return []string{"mother", "father", "sister", "brother", "wife", "husband", "children", "child", "son",
			"daughter", "parents", "family", "grandmother", "grandfather"}
	case "be":
		return []string{"am", "is", "are", "was", "were"}
	}
	return nil
}

// script returns the doctor's lines. The idea of each rule is Weizenbaum's; the
// words are ours.
func script() []keyword {
	keywords := []keyword{
		{noKeyword, 0, []rule{{"*", []string{
			"I am not sure I follow. Could you put it another way?",
			"Please go on.",
			"What comes to your mind when you say that?",
			"Say a little more about it.",
			"Does it trouble you to talk about this?",
			"I see. And what does that mean for you?",
		}, false}}},
		{"sorry", 0, []rule{{"*", []string{
			"There is nothing to be sorry about.",
			"No apology is needed here.",
			"How do you feel when you apologise?",
		}, false}}},
		{"thanks", 0, []rule{{"*", []string{
			"You are welcome. What else is on your mind?",
			"There is no need to thank me. Please go on.",
		}, false}}},
		{"hello", 0, []rule{{"*", []string{
			"Hello. How are you feeling today?",
			"Hello again. What is on your mind?",
		}, false}}},
		{"goodbye", 0, []rule{{"*", []string{
			"Goodbye. I hope this was of some use to you.",
			"Goodbye. Come back whenever you like.",
		}, false}}},
		{"remember", 5, []rule{
			{"* i remember *", []string{
				"Do you often think of $2?",
				"What else comes back to you when you think of $2?",
				"Why do you remember $2 just now?",
				"How does $2 bear on the present?",
			}, false},
			{"* do you remember *", []string{
				"Did you think I would forget $2?",
				"Why should I recall $2 now?",
				"What about $2?",
			}, false},
		}},
		{"forget", 5, []rule{{"* i forget *", []string{
			"Why might you forget $2?",
			"Would you rather not forget $2?",
		}, false}}},
		{"if", 3, []rule{{"* if *", []string{
			"How likely do you think it is that $2?",
			"Do you wish that $2?",
			"What would it mean to you if $2?",
			"And really, if $2?",
		}, false}}},
		{"dreamed", 4, []rule{{"* i dreamed *", []string{
			"Really: $2?",
			"Have you ever imagined $2 while you were awake?",
			"Had you dreamed $2 before?",
		}, false}, {"*", []string{"=dream"}, false}}},
		{"dream", 3, []rule{{"*", []string{
			"What does that dream tell you?",
			"Do you dream often?",
			"Who appears in your dreams?",
			"Could the dream have something to do with what troubles you?",
		}, false}}},
		{"dreams", 3, []rule{{"*", []string{"=dream"}, false}}},
		{"perhaps", 0, []rule{{"*", []string{
			"You do not seem quite certain.",
			"Why the doubt?",
			"Could you be more definite?",
			"What would you need in order to be sure?",
		}, false}}},
		{"name", 15, []rule{
			{"* your name *", []string{"My name is ELIZA. I am a small program, and names are not what I am good at."},
				false},
			{"*", []string{"Names do not matter to me. Please continue.", "As I said, names mean little to me."},
				false},
		}},
		{"eliza", 14, []rule{{"*", []string{
			"Yes, that is what I am called. But we were talking about you.",
			"I am ELIZA. What would you like to tell me?",
		}, false}}},
		{"computer", 50, []rule{{"*", []string{
			"Do machines worry you?",
			"Why do you bring up computers?",
			"What do you think machines have to do with your problem?",
			"Could computers be of help to people, do you think?",
			"I am a program of 1966, and a short one. Does that bother you?",
		}, false}}},
		{"am", 0, []rule{
			{"* am i *", []string{
				"Do you believe that you are $2?",
				"Would you like to be $2?",
				"Do you wish I would tell you that you are $2?",
				"What would it mean if you were $2?",
			}, false},
			{"* i am *", []string{"=i"}, false},
			{"*", []string{"Why do you say \"am\"?", "I do not quite follow that."}, false},
		}},
		{"are", 0, []rule{
			{"* are you *", []string{
				"Why does it matter to you whether I am $2 or not?",
				"Would you prefer that I were not $2?",
				"Perhaps I am $2 in your imagination.",
				"Do you sometimes think that I am $2?",
			}, false},
			{"* you are *", []string{"=you"}, false},
			{"* are *", []string{
				"Did you think they might not be $2?",
				"What if they were not $2?",
				"Are they always $2?",
				"It is possible that they are $2.",
			}, false},
		}},
		{"your", 0, []rule{{"* your *", []string{
			"Why are you concerned about my $2?",
			"What about your own $2?",
			"Are you thinking of somebody else's $2?",
			"Really, my $2?",
		}, false}}},
		{"was", 2, []rule{
			{"* was i *", []string{
				"What if you were $2?",
				"Do you think you were $2?",
				"Were you $2?",
			}, false},
			{"* i was *", []string{
				"Were you really?",
				"Why do you tell me now that you were $2?",
				"Perhaps I had already guessed that you were $2.",
			}, false},
			{"* was you *", []string{
				"Would you like to believe that I was $2?",
				"What makes you think I was $2?",
			}, false},
		}},
		{"i", 1, []rule{
			{"* i @want *", []string{
				"What would it mean to you if you got $3?",
				"Why do you want $3?",
				"Suppose you got $3 soon. What then?",
				"What if you never got $3?",
				"What does wanting $3 have to do with this talk?",
			}, false},
			{"* i am * @sad *", []string{
				"I am sorry to hear that you are $3.",
				"Do you think that talking here will help you not to be $3?",
				"It cannot be pleasant to be $3.",
				"Can you say what made you $3?",
			}, false},
			{"* i feel @sad *", []string{
				"What makes you feel $2?",
				"Since when have you felt $2?",
				"And when you feel $2, what do you do?",
			}, false},
			{"* i am * @happy *", []string{
				"How have I helped you to be $3?",
				"What makes you $3 just now?",
				"Can you explain why you are suddenly $3?",
			}, false},
			{"* i @belief i *", []string{
				"Do you really think so?",
				"But you are not sure that you $3.",
				"Do you doubt that you $3?",
			}, false},
			{"* i @belief * you *", []string{"=you"}, false},
			{"* i am *", []string{
				"Is it because you are $2 that you came to me?",
				"How long have you been $2?",
				"Do you think it is normal to be $2?",
				"Do you enjoy being $2?",
			}, false},
			{"* i can not *", []string{
				"How do you know that you cannot $2?",
				"Have you tried?",
				"Perhaps you could $2 now.",
				"Do you really want to be able to $2?",
			}, false},
			{"* i do not *", []string{
				"Do you not really $2?",
				"Why do you not $2?",
				"Do you wish to be able to $2?",
				"Does that trouble you?",
			}, false},
			{"* i feel *", []string{
				"Tell me more about such feelings.",
				"Do you often feel $2?",
				"Do you enjoy feeling $2?",
				"What does feeling $2 remind you of?",
			}, false},
			{"* i @belief *", []string{
				"What makes you so sure that $3?",
				"And if it were otherwise?",
				"Do others see it that way, too?",
			}, false},
			{"* i have *", []string{
				"How long have you had $2?",
				"What does having $2 do to you?",
				"Would things be different without $2?",
			}, false},
			{"* i * you *", []string{
				"Perhaps in your imagination we $2 each other.",
				"Do you wish to $2 me?",
				"You seem to need to $2 me.",
				"Do you $2 anybody else?",
			}, false},
			{"* i *", []string{
				"You say you $2?",
				"Can you say more about that?",
				"Do you say you $2 for some special reason?",
				"That is quite interesting. Please go on.",
			}, false},
		}},
		{"you", 1, []rule{
			{"* you remind me of *", []string{"=alike"}, false},
			{"* you are *", []string{
				"What makes you think I am $2?",
				"Does it please you to believe that I am $2?",
				"Do you sometimes wish you were $2?",
				"Perhaps you would like to be $2.",
			}, false},
			{"* you * me *", []string{
				"Why do you think I $2 you?",
				"You like to think that I $2 you, do you not?",
				"What makes you think I $2 you?",
				"Really, I $2 you?",
			}, false},
			{"* you *", []string{
				"We were talking about you, not about me.",
				"Oh, I $2?",
				"You are not really talking about me, are you?",
				"What are your feelings now?",
			}, false},
		}},
		{"yes", 0, []rule{{"*", []string{
			"You seem quite sure.",
			"I see. Go on.",
			"I understand. And then?",
		}, false}}},
		{"no", 0, []rule{{"*", []string{
			"Are you saying no just to be contrary?",
			"Why not?",
			"You are being a little negative.",
			"Why do you say no?",
		}, false}}},
		{"my", 2, []rule{
			{"* my *", []string{
				"Earlier you spoke of your $2. Let us return to that.",
				"Does that have anything to do with your $2?",
				"I am still thinking of what you said about your $2.",
			}, true},
			{"* my * @family *", []string{
				"Tell me more about your family.",
				"Who else in your family $4?",
				"Your $3?",
				"What else comes to your mind when you think of your $3?",
			}, false},
			{"* my *", []string{
				"Your $2?",
				"Why do you say your $2?",
				"Does it matter to you that your $2?",
				"Does that suggest anything else that is yours?",
			}, false},
		}},
		{"can", 0, []rule{
			{"* can you *", []string{
				"You believe I can $2, do you not?",
				"You want me to be able to $2.",
				"Perhaps you would like to be able to $2 yourself.",
			}, false},
			{"* can i *", []string{
				"Whether you can $2 depends on you more than on me.",
				"Do you want to be able to $2?",
				"Perhaps you do not want to $2.",
			}, false},
			{"*", []string{"=what"}, false},
		}},
		{"could", 0, []rule{{"* could you *", []string{"=can"}, false},
			{"*", []string{"What makes you wonder about that?"}, false}}},
		{"what", 0, []rule{{"*", []string{
			"Why do you ask?",
			"Does that question interest you?",
			"What is it you really want to know?",
			"What answer would please you most?",
			"What do you think yourself?",
			"Have you asked anybody else?",
		}, false}}},
		{"because", 2, []rule{{"*", []string{
			"Is that the real reason?",
			"Do any other reasons come to mind?",
			"Does that reason explain anything else?",
			"What other reasons might there be?",
		}, false}}},
		{"why", 2, []rule{
			{"* why do not you *", []string{
				"Do you believe I do not $2?",
				"Perhaps I will $2 in good time.",
				"Should you $2 yourself?",
				"You want me to $2?",
			}, false},
			{"* why can not i *", []string{
				"Do you think you should be able to $2?",
				"Do you want to be able to $2?",
				"Have you any idea why you cannot $2?",
			}, false},
			{"*", []string{"=what"}, false},
		}},
		{"everyone", 2, []rule{{"*", []string{
			"Really, everyone?",
			"Surely not everyone.",
			"Can you think of anyone in particular?",
			"Whom, for example?",
			"You have a particular person in mind, do you not?",
		}, false}}},
		{"nobody", 2, []rule{{"*", []string{
			"Nobody at all?",
			"Surely somebody.",
			"Who comes to mind first?",
		}, false}}},
		{"always", 1, []rule{{"*", []string{
			"Can you think of a particular example?",
			"When, for instance?",
			"What occasion are you thinking of?",
			"Really, always?",
		}, false}}},
		{"never", 1, []rule{{"*", []string{
			"Not even once?",
			"Never is a long time. What about lately?",
		}, false}}},
		{"alike", 10, []rule{{"*", []string{
			"In what way?",
			"What likeness do you see?",
			"What does that likeness suggest to you?",
			"What other connections do you see?",
			"Could there really be some connection?",
		}, false}}},
		{"like", 10, []rule{{"* @be * like *", []string{"=alike"}, false}}},
		{"different", 0, []rule{{"*", []string{
			"How is it different?",
			"What differences do you see?",
			"What does the difference suggest to you?",
		}, false}}},
		{"friend", 2, []rule{{"*", []string{
			"What do your friends mean to you?",
			"What does a friend owe you, do you think?",
			"Do you talk to your friends about this?",
		}, false}}},
		{"work", 1, []rule{{"*", []string{
			"How does your work come into this?",
			"What would you do if you did not have to work?",
			"Who is important to you where you work?",
		}, false}}},
		{"love", 2, []rule{{"* i love *", []string{
			"What is it about $2 that you love?",
			"Have you told anyone that you love $2?",
		}, false}, {"*", []string{"What does love mean to you?"}, false}}},
		{"hate", 2, []rule{{"* i hate *", []string{
			"Strong words. What has made you hate $2?",
			"And apart from hating $2, what do you feel?",
		}, false}, {"*", []string{"Where does that anger come from?"}, false}}},
		{"money", 1, []rule{{"*", []string{
			"What would change if money were no concern?",
			"Is it really about money?",
		}, false}}},
		{"sleep", 1, []rule{{"*", []string{
			"What keeps you awake?",
			"How long have you slept that way?",
		}, false}}},
		{"help", 1, []rule{{"*", []string{
			"What kind of help would be best for you?",
			"Who has helped you before?",
			"Suppose you had that help. What would you do first?",
		}, false}}},
		{"how", 0, []rule{{"*", []string{"=what"}, false}}},
		{"when", 0, []rule{{"*", []string{"=what"}, false}}},
		{"where", 0, []rule{{"*", []string{"=what"}, false}}},
		{"who", 0, []rule{{"*", []string{"=what"}, false}}},
		{"would", 0, []rule{{"* would you *", []string{
			"Why do you wonder whether I would $2?",
			"Would you $2 in my place?",
		}, false}}},
		{"should", 0, []rule{{"* should i *", []string{
			"What would happen if you did $2?",
			"What speaks against it?",
			"Who says that you should $2?",
		}, false}}},
	}
	for _, plural := range []struct{ word, target string }{
		{"same", "alike"}, {"friends", "friend"}, {"job", "work"}, {"nothing", "nobody"}, {"none", "nobody"},
	} {
		keywords = append(keywords, keyword{plural.word, 2, []rule{{"*", []string{"=" + plural.target}, false}}})
	}
	for _, relative := range classes("family") {
		keywords = append(keywords, keyword{relative, 1, []rule{{"*", []string{
			"What place does your " + relative + " have in all this?",
			"What comes to your mind first when you think of your " + relative + "?",
		}, false}}})
	}
	return keywords
}

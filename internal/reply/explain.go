package reply

// Explain returns a sentence for people about why a reply failed, and whether
// sending again may help.
func Explain(c Code) (message string, retryable bool) {
	switch c {
	case CodeUnavailable:
		return "The model server cannot be reached.", true
	case CodeTimeout:
		return "The model server stopped answering.", true
	case CodeTruncated:
		return "The reply was cut off before its end.", true
	case CodeProtocol:
		return "The model server gave an answer that makes no sense.", true
	case CodeRateLimited:
		return "The model server is busy.", true
	case CodeQuota:
		return "The account at the model server is used up.", false
	case CodeUnauthorized:
		return "The model server does not accept this server's key.", false
	case CodeRejected:
		return "The model server refused the request.", false
	case CodeContextTooLong:
		return "The conversation is too long for this model.", false
	case CodeContentFilter:
		return "The model server refuses to answer this.", false
	case CodeUpstream:
		return "The model server failed in the middle of the reply.", true
	case CodeLimit:
		return "The reply became longer, or took longer, than this server allows.", false
	case CodeCrashed:
		return "The server failed several times over this reply.", true
	case CodeRestarted:
		return "The server restarted in the middle of the reply.", true
	case CodeDeleted:
		return "The conversation was deleted.", false
	}
	return "The reply failed.", true
}

package localmodel

func refused(error) bool { return false }

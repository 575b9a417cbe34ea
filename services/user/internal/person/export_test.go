package person

// CommonPasswords is the embedded list.
func CommonPasswords() []string {
	all := make([]string, 0, len(commonPassword()))
	for p := range commonPassword() {
		all = append(all, p)
	}
	return all
}

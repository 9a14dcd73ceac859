package document

import "runtime"

// HostFonts are the folders where this kind of system keeps its fonts.
func HostFonts() []string {
	switch runtime.GOOS {
	case "darwin":
		return []string{"/System/Library/Fonts", "/Library/Fonts"}
	case "windows":
		return []string{`C:\Windows\Fonts`}
	default:
		return []string{"/usr/share/fonts", "/usr/local/share/fonts"}
	}
}

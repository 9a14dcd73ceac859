package pdftest

import (
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"fmt"
)

// Encrypted is the file under the standard security handler, revision 2 (RC4 with
// 40 bits; ISO 32000-1, 7.6.3). An empty user password opens without asking.
// Strings are left as they are: a file to encrypt has none.
func (f *File) Encrypted(user, owner string) []byte {
	const id, permissions = "outcrop-test-id!", -44
	o := seal(digest(pad(owner))[:5], pad(user))
	word := int32(permissions)
	key := digest(pad(user), o, binary.LittleEndian.AppendUint32(nil, uint32(word)), []byte(id))[:5]
	u := seal(key, pad(""))
	trailer := fmt.Sprintf("/Encrypt << /Filter /Standard /V 1 /R 2 /O <%x> /U <%x> /P %d >> /ID [<%x> <%x>]", o, u, permissions, id, id)
	return f.write(trailer, func(number int, data []byte) []byte {
		return seal(digest(key, []byte{byte(number), byte(number >> 8), byte(number >> 16), 0, 0})[:10], data)
	})
}

func digest(parts ...[]byte) []byte {
	h := md5.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func seal(key, data []byte) []byte {
	c, err := rc4.NewCipher(key)
	if err != nil {
		panic(err) // 5 and 10 bytes are lengths that RC4 takes
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out
}

func pad(password string) []byte {
	const padding = "\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a"
	return []byte((password + padding)[:32])
}

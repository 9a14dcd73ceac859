package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/outcrop-dev/outcrop/internal/datadir"
)

// The CA's certificate lies in the data folder for clients to trust; its key is
// sealed beside it and signs nothing but this server's own certificate.
const (
	caCertFile = "ca.pem"
	caKeyFile  = "ca-key.age"
	caLife     = 10 * 365 * 24 * time.Hour
	certLife   = 397 * 24 * time.Hour // what browsers and Apple's clients accept
)

// tlsConfig makes a certificate for host from the data folder's CA, which it
// makes on first use.
func tlsConfig(dir *datadir.Folder, host string) (*tls.Config, error) {
	ca, key, err := loadCA(dir)
	if errors.Is(err, fs.ErrNotExist) {
		ca, key, err = makeCA(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := certTemplate("outcrop", certLife)
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.DNSNames = []string{"localhost"}
	t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if ip := net.ParseIP(host); ip != nil {
		t.IPAddresses = append(t.IPAddresses, ip)
	} else if host != "" {
		t.DNSNames = append(t.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca, &leafKey.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der, ca.Raw}, PrivateKey: leafKey}},
		NextProtos:   []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12,
	}, nil
}

func certTemplate(name string, life time.Duration) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Outcrop on this machine"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life), BasicConstraintsValid: true}
}

func makeCA(dir *datadir.Folder) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := certTemplate("Outcrop local CA", caLife)
	t.IsCA, t.MaxPathLenZero = true, true
	t.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	if err := dir.WriteSealed(caKeyFile, keyDER); err != nil {
		return nil, nil, err
	}
	// Last, so that a certificate never lies there without its key.
	return ca, key, os.WriteFile(filepath.Join(dir.Path(), caCertFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

func loadCA(dir *datadir.Folder) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	raw, err := os.ReadFile(filepath.Join(dir.Path(), caCertFile))
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, nil, fmt.Errorf("%s holds no certificate; remove it to make a new CA", caCertFile)
	}
	keyDER, err := dir.ReadSealed(caKeyFile)
	if err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParseECPrivateKey(keyDER)
	if err != nil {
		return nil, nil, err
	}
	return ca, key, nil
}

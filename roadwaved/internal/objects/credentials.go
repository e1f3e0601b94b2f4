package objects

import (
	"errors"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

var errNoKeys = errors.New("no keys found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE with a shared credentials file, or give the machine a role")

// metadataPatience is how long the service that knows the role of a machine may
// take: where there is none, nobody answers.
const metadataPatience = 5 * time.Second

// keys gives the credentials of the configuration, or those found in the usual
// places.
func keys(cfg Config) *credentials.Credentials {
	if cfg.AccessKey != "" {
		return credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, "")
	}
	return credentials.New(&chain{credentials.Chain{Providers: []credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.EnvMinio{},
		&credentials.FileAWSCredentials{},
		&credentials.IAM{Client: &http.Client{Timeout: metadataPatience}},
	}}})
}

// A chain asks one provider after the other. Where none knows a key it is an
// error: the library would go on without a signature, which a server answers
// with "access denied".
type chain struct {
	credentials.Chain
}

func (c *chain) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	v, err := c.Chain.RetrieveWithCredContext(cc)
	if err == nil && v.AccessKeyID == "" {
		err = errNoKeys
	}
	return v, err
}

func (c *chain) Retrieve() (credentials.Value, error) {
	return c.RetrieveWithCredContext(nil)
}

// Argo CD as far as the test bed needs it: its application controller and its repository server, each behind its own
// name, and the Redis that both keep their caches in. Argo CD's own main has the command line, the API server and the
// web page as well, a quarter more packages.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	repositories "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{Use: "argocd", SilenceUsage: true}
	root.AddCommand(controller.NewCommand(), repositories.NewCommand(), redis())
	if root.Execute() != nil {
		os.Exit(1)
	}
}

// redis is the Redis in memory that Argo CD itself starts for `argocd admin dashboard`. Its clock stands still unless
// it is told the time, and nothing in it would expire.
func redis() *cobra.Command {
	return &cobra.Command{
		Use:  "argocd-redis ADDRESS",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, arguments []string) error {
			server := miniredis.NewMiniRedis()
			if err := server.StartAddr(arguments[0]); err != nil {
				return fmt.Errorf("argocd-redis: %w", err)
			}
			last := time.Now()
			for now := range time.Tick(100 * time.Millisecond) {
				server.FastForward(now.Sub(last))
				last = now
			}
			return nil
		},
	}
}

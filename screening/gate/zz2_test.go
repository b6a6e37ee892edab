package gate
import ("testing";"fmt";"errors";"io";"os";"strings";"math/rand/v2"
"thermogate/camera";"thermogate/camera/simulator";"thermogate/screening/event";"thermogate/screening/face";"thermogate/screening/measure";"thermogate/screening/policy";"thermogate/screening/track")
func TestZZSizes(t *testing.T){
 var cases [][3]float64
 for _,c:=range strings.Fields(os.Getenv("CASES")){ var a,b,r float64; fmt.Sscanf(c,"%fx%f@%f",&a,&b,&r); cases=append(cases,[3]float64{a,b,r}) }
 n:=4; if os.Getenv("N")!=""{fmt.Sscan(os.Getenv("N"),&n)}
 for _,c:=range cases{
  s:=simulator.DefaultScenario(); s.Seed=77
  s.Camera.Width,s.Camera.Height,s.Camera.FPS=int(c[0]),int(c[1]),c[2]
  if os.Getenv("BLUR")!=""{fmt.Sscan(os.Getenv("BLUR"),&s.Camera.BlurPixels)}
  if os.Getenv("DIST")==""{os.Setenv("DIST","0.75")}
  var dist float64; fmt.Sscan(os.Getenv("DIST"),&dist)
  y:="people:\n"
  for i:=range n { skin:=35.2+0.1*float64(i%3); if i%2==1 {skin=37.3+0.1*float64(i%3)}; y+=fmt.Sprintf("  - {at: %gs, skin_celsius: %.2f, distance_metres: %g, stand: 4s, seed: %d, height_metres: %.2f}\n",0.5+7.0*float64(i),skin,dist,900+i,1.65+0.04*float64(i%4)) }
  p,err:=simulator.Parse("x",[]byte(y)); if err!=nil{t.Fatal(err)}
  s.People=p.People
  m,err:=simulator.New(s,simulator.Options{}); if err!=nil{t.Fatal(err)}
  d,_:=face.New()
  g,err:=New(Config{Site:"a",Name:"b",Track:track.DefaultConfig(),Measure:measure.DefaultConfig(),Policy:policy.DefaultConfig(),Visit:DefaultVisitConfig()},m.Info(),d,rand.NewChaCha8([32]byte{}))
  if err!=nil{t.Fatal(err)}
  var f camera.Frame; out:=""; hints:=map[event.Reason]int{}
  for {
   err:=m.Read(t.Context(),&f); if errors.Is(err,io.EOF){break}
   sc,ev,err:=g.Process(&f); if err!=nil{t.Fatal(err)}
   for _,pp:=range sc.People{hints[pp.Hint]++}
   if len(sc.People)==0{hints["nobody"]++}
   if sc.Reference.Problem!=""{hints["ref-"+sc.Reference.Problem]++}
   for _,e:=range ev{ k:=0.0; if e.Data.SkinCelsius!=nil{k=*e.Data.SkinCelsius}; sec:=0.0; if e.Data.SecondsToVerdict!=nil{sec=*e.Data.SecondsToVerdict}; tr:=0.0; for _,p:=range m.Truth().People{tr=p.SkinCelsius;break}; out+=fmt.Sprintf(" %s/%s %.2f(%+.2f,%.1fs)",e.Data.Outcome[:2],e.Data.SkinSite,k,k-tr,sec); if e.Data.Outcome=="inconclusive"{out+="!"+string(e.Data.Reason)} }
  }
  d.Close()
  fmt.Println(c,out); if os.Getenv("V")!=""{fmt.Println(hints)}
 }
}
